// Renders components as the server of each framework does: `node render.js '[GIVEN, [FRAMEWORK, FILE], ...]'`, where
// GIVEN is a list of properties; prints a list for each file. React in strict mode too: it renders twice, and a
// component must not mind. An error or a warning stands in the place of the HTML.
import { StrictMode, createElement } from "react";
import { renderToStaticMarkup, renderToString } from "react-dom/server";
import { createSSRApp } from "vue";
import { renderToString as renderVue } from "@vue/server-renderer";

console.warn = console.error = (...words) => {
  throw new Error(words.join(" "));
};
const ways = {
  react: (component, given) =>
    [renderToString, renderToStaticMarkup].map((way) => way(createElement(StrictMode, null, createElement(component, given)))),
  vue: async (component, given) => [await renderVue(createSSRApp(component, given))],
};

const [given, ...files] = JSON.parse(process.argv[2]);
const made = [];
for (const [framework, file] of files) {
  const { ReportAbuseButton } = await import(file);
  const render = async (values) => ways[framework](ReportAbuseButton, values);
  made.push(await Promise.all(given.map((values) => render(values).catch((error) => [String(error)]))));
}
console.log(JSON.stringify(made));
