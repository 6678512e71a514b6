// Renders components as React's own server does: `node render.js '[GIVEN, FILE, ...]'`, where GIVEN is a list of
// properties; prints a list for each file. Strict mode too: it renders twice, and a component must not mind.
import { StrictMode, createElement } from "react";
import { renderToStaticMarkup, renderToString } from "react-dom/server";

const [given, ...files] = JSON.parse(process.argv[2]);
const made = [];
for (const file of files) {
  const { ReportAbuseButton } = await import(file);
  const render = (way, values) => way(createElement(StrictMode, null, createElement(ReportAbuseButton, values)));
  made.push(given.map((values) => [render(renderToString, values), render(renderToStaticMarkup, values)]));
}
console.log(JSON.stringify(made));
