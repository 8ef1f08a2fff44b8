// A dead letter's form: the fields behave as those of a new record.

import { startFields } from "./fields.js";

const form = document.getElementById("letter");
if (form) startFields(form);
