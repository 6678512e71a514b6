import type { DetailedHTMLProps, HTMLAttributes, ReactElement } from "react";
import type { ReportAbuseButtonProps } from "./element.js";

export type { ReportAbuseButtonProps };

/** The sentence, the plain link and the element around it, on the server and in the browser. */
export declare function ReportAbuseButton(props: ReportAbuseButtonProps): ReactElement;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "report-abuse-button": DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement>;
    }
  }
}
