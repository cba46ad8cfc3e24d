// Starts Swagger UI on this server's own document.
"use strict";

// Swagger UI has a dark form, which it leaves to the page to choose.
const dark = matchMedia("(prefers-color-scheme: dark)");
const choose = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", choose);
choose();

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // Else documents of servers with a public name are sent to a validator on the internet.
  validatorUrl: null,
});
