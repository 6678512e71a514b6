import type { DefineComponent, HTMLAttributes } from "vue";
import type { ReportAbuseButtonProps } from "./element.js";

export type { ReportAbuseButtonProps };

/** The sentence, the plain link and the element around it, on the server and in the browser. */
export declare const ReportAbuseButton: DefineComponent<ReportAbuseButtonProps>;

declare module "vue" {
  interface GlobalComponents {
    "report-abuse-button": DefineComponent<HTMLAttributes>;
  }
}
