// The analytics' page: what is counted is asked for again every few seconds, and charts tell their values.

import "../live.js";

document.documentElement.dataset.ready = "true";
