// A page without parts that live: it is ready as it comes.

document.documentElement.dataset.ready = "true";
