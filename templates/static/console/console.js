// What every page of the console has: keyboard, exact times in the reader's zone, and the address bar's search.

import { startKeys } from "./keys.js";

startKeys();
document.documentElement.dataset.ready = "true";
