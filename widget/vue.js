// The Report Abuse button as a Vue component, for Vue 3.
// It has the HTML of `report-abuse-partner button snippet`, and is written by the same code.
// <ReportAbuseButton origin="https://report.example" placement="example-chat-dm" />
// `context` is a sealed context of this very page (docs/placement.md).
import { Fragment, defineComponent, getCurrentInstance, h, onMounted } from "vue";

const WORDS = {
  "en": {
    "sentence": "Has someone online scared you, or done something sexual? Tell the police team who keep children safe. They find people who do this. In danger now? Call 999.",
    "text": "Report Abuse",
    "label": "Report Abuse to the police (opens their site)"
  },
  "cy": {
    "sentence": "Oes rhywun ar-lein wedi codi ofn arnat ti, neu wedi gwneud rhywbeth rhywiol? Dwed wrth y tîm heddlu sy'n cadw plant yn ddiogel. Maen nhw'n dod o hyd i bobl sy'n gwneud hyn. Mewn perygl nawr? Ffonia 999.",
    "text": "Riportio Camdriniaeth",
    "label": "Riportio Camdriniaeth i'r heddlu (ar eu safle)"
  }
};

// Calls `h` for the button's HTML. `isInPage`: with the script's tag, as the HTML of a server has it.
function draw(h, Fragment, { origin, placement, language, form, size, context }, isInPage) {
  if (!/^https?:\/\/[\w.:-]+$/.test(origin)) throw new TypeError("origin: the agency's address, e.g. https://report.example");
  const words = Object.hasOwn(WORDS, language) ? WORDS[language] : WORDS.en;
  const lang = words === WORDS.en ? undefined : language;
  let link = origin + "/?from=" + encodeURIComponent(placement);
  if (context) link += "#context=" + encodeURIComponent(context);
  if (form === "link") {
    return h(Fragment, null,
      h("p", { "lang": lang },
        words.sentence,
      ),
      "\n",
      h("a", { "href": link, "lang": lang, "rel": "noreferrer noopener", "aria-label": words.label },
        h("img", { "src": origin + "/button/1.1.0/button.svg", "alt": "", "width": size, "height": size, "referrerPolicy": "no-referrer" }),
        " " + words.text,
      ),
    );
  }
  return h(Fragment, null,
    h("p", { "lang": lang },
      words.sentence,
    ),
    "\n",
    h("report-abuse-button", { "lang": lang },
      h("a", { "href": link, "rel": "noreferrer noopener", "aria-label": words.label },
        h("svg", { "width": size, "height": size, "viewBox": "0 0 48 48", "aria-hidden": "true" },
          h("rect", { "width": "48", "height": "48", "rx": "12", "fill": "#154650" }),
          h("path", { "fill": "#f6c65b", "d": "M19 39A20 18 0 1 0 10 35L8 45zM16 22v-8a2 2 0 0 1 4 0v7h1v-10a2 2 0 0 1 4 0v10h1v-9a2 2 0 0 1 4 0v9h1v-6a2 2 0 0 1 4 0v11c0 6-4 10-10 10-4 0-6-1-8-4l-7-9a2 2 0 0 1 3-3z" }),
        ),
        " " + words.text,
      ),
    ),
    "\n",
    isInPage && h("script", { "src": origin + "/button/1.1.0/report-abuse-button.js", "integrity": "sha384-o6SMVbtrUuINOpL2BaM+zfcQ0ecuRrntj8M4sCorYfO/QxMIeYdbEusSi8FU08/K", "crossOrigin": "anonymous", "referrerPolicy": "no-referrer", "defer": true }),
  );
}

// A script that a framework writes in the browser does not run, or stops the page under Trusted Types: only a page that
// came from a server has its tag. Without it the script is asked for here; a policy that refuses this leaves the plain
// link, which works. With it nothing is asked: the script names its element only a moment after it ran.
function load({ origin, form }, isInPage) {
  if (isInPage || form === "link" || customElements.get("report-abuse-button")) return;
  try {
    const script = document.createElement("script");
    script.integrity = "sha384-o6SMVbtrUuINOpL2BaM+zfcQ0ecuRrntj8M4sCorYfO/QxMIeYdbEusSi8FU08/K";
    script.crossOrigin = "anonymous";
    script.referrerPolicy = "no-referrer";
    script.src = origin + "/button/1.1.0/report-abuse-button.js";
    document.head.append(script);
  } catch (refused) {
    console.info("report-abuse-button stays a plain link:", refused.name);
  }
}

export const ReportAbuseButton = defineComponent({
  name: "ReportAbuseButton",
  inheritAttrs: false,
  props: {
    origin: { type: String, required: true },
    placement: { type: String, required: true },
    language: { type: String, default: "en" },
    form: { type: String, default: "script" },
    size: { type: Number, default: 44 },
    context: { type: String, default: "" },
  },
  setup(props) {
    // An element is there before the component is mounted where it takes over the HTML of a server.
    const isInPage = typeof document === "undefined" || Boolean(getCurrentInstance().vnode.el);
    onMounted(() => load(props, isInPage));
    return () => draw(h, Fragment, props, isInPage);
  },
});
