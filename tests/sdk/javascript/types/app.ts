// A Vue app: each line after @ts-expect-error has to be refused.
import { createSSRApp, h, type GlobalComponents } from "vue";
import { ReportAbuseButton } from "report-abuse-button/vue";

export const app = createSSRApp(ReportAbuseButton, { origin: "https://report.example", placement: "example-chat-dm" });
export const called = h(ReportAbuseButton, { origin: "https://report.example", placement: "example-chat-dm", size: 64 });
// @ts-expect-error - no placement
export const misplaced = h(ReportAbuseButton, { origin: "https://report.example" });
// @ts-expect-error - no such form
export const popup = h(ReportAbuseButton, { origin: "https://report.example", placement: "a", form: "popup" });
export const props: InstanceType<GlobalComponents["report-abuse-button"]>["$props"] = { lang: "cy" };
// @ts-expect-error - no such attribute
export const themed: InstanceType<GlobalComponents["report-abuse-button"]>["$props"] = { theme: "dark" };
