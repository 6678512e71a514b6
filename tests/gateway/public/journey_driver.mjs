// Walks the journey with the phone's script, for test_journey_script.py, or reads words, for test_words_on_phone.py: one
// case a line, one result a line.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [script, cases, results] = process.argv.slice(2);
const journey = await import(pathToFileURL(script));
const { listFoundInWords } = await import(new URL("phrases.js", pathToFileURL(script)));
const [data, ...lines] = readFileSync(cases, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const decoder = new TextDecoder();

function walk({ posted, again, given, screens, way }) {
  let answers = {};
  for (const screen of data.screens.filter((one) => one.fields.length > 0)) {
    const read = journey.readScreen(data, screen, (name) => posted[name] ?? []);
    Object.assign(answers, journey.merge(data, screen, {}, read));
  }
  const changed = journey.getScreen(data, again.screen);
  const read = journey.readScreen(data, changed, (name) => again.posted[name] ?? []);
  answers = journey.merge(data, changed, answers, read);
  const path = journey.listPath(data, answers);
  const kept = journey.keepOnPath(data, answers);
  return {
    advice: journey.listAdvice(data, answers),
    answers,
    faults: path.map((screen) => journey.listFaults(data, screen, answers).map((fault) => [fault.field, fault.kind])),
    fields: path.flatMap((screen) =>
      screen.fields.map((field) => [
        journey.isShown(data, field, answers),
        journey.isNeeded(data, field, answers),
        journey.listOffered(data, field, answers),
      ]),
    ),
    following: screens.map((name) => {
      const screen = journey.getScreen(data, name);
      const isAsked = way.isAsked && screen.fields.some((field) => field.kind === "more");
      return journey.getFollowing(data, screen, answers, { ...way, isAsked }).name;
    }),
    incomplete: journey.findIncomplete(data, answers)?.name ?? null,
    kept,
    next: screens.map((name) => journey.getNext(data, journey.getScreen(data, name), answers).name),
    path: path.map((screen) => screen.name),
    priority: journey.getPriority(data, answers),
    profile: journey.makeProfile(data, answers),
    progress: path.map((screen) => [screen.progress, screen.progress_late]),
    report: tryReport(kept, given),
    urgency: journey.getUrgency(data, kept),
    urgent: journey.listUrgent(data, answers),
  };
}

function tryReport(kept, given) {
  try {
    return decoder.decode(journey.makeReport(data, kept, given));
  } catch (error) {
    return String(error.message);
  }
}

const find = (one) => ("said" in one ? listFoundInWords(data, one.said).sort() : walk(one));
writeFileSync(results, lines.map((one) => `${JSON.stringify(find(one))}\n`).join(""));
