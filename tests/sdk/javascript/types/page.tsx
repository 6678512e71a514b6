// A React page: each line after @ts-expect-error has to be refused.
import "report-abuse-button";
import { ReportAbuseButton, type ReportAbuseButtonProps } from "report-abuse-button/react";

const given: ReportAbuseButtonProps = { origin: "https://report.example", placement: "example-chat-dm", size: 56 };

export const page = (
  <main>
    <ReportAbuseButton {...given} language="cy" form="link" context="1.a.b" />
    <report-abuse-button lang="cy">
      <a href="https://report.example/?from=example-chat-dm">Riportio Camdriniaeth</a>
    </report-abuse-button>
    {/* @ts-expect-error - no placement */}
    <ReportAbuseButton origin="https://report.example" />
    {/* @ts-expect-error - no such language */}
    <ReportAbuseButton {...given} language="fr" />
    {/* @ts-expect-error - no such size */}
    <ReportAbuseButton {...given} size={28} />
    {/* @ts-expect-error - no other words, colours or artwork */}
    <ReportAbuseButton {...given} label="Need a hug?" />
    {/* @ts-expect-error - no such attribute */}
    <report-abuse-button theme="dark" />
  </main>
);

export const element: HTMLElement = document.createElement("report-abuse-button");
