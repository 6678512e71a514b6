/** The properties of the components for React and Vue: all that a page may choose. */
export interface ReportAbuseButtonProps {
  /** The agency's address, without a path, e.g. `https://report.example`. */
  origin: string;
  /** The link id that the agency agreed for this place, e.g. `example-chat-dm`. */
  placement: string;
  /** The language of the page; no other words exist. */
  language?: "en" | "cy";
  /** A link that a script dresses, or a plain link with an image and no script. */
  form?: "script" | "link";
  /** The size of the icon in CSS pixels. */
  size?: 44 | 56 | 64;
  /** A sealed context of this rendering of this page. */
  context?: string;
}

declare global {
  interface HTMLElementTagNameMap {
    /** Draws the button over the plain link inside it. It has no attributes, events or methods of its own. */
    "report-abuse-button": HTMLElement;
  }
}
