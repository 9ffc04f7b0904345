// What Datasette's table.js wants to know, here so that no page needs a script of its own in its text.
window.DATASETTE_ALLOW_FACET = document.currentScript.dataset.allowFacet === "true";
