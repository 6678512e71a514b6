// Asks the form's words of gateway/public/phone/words.js: reads one JSON object, writes one.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const { module, words, codes, typed, references, draws } = JSON.parse(readFileSync(0, 'utf8'))
const { deriveReturnKeys, drawCode, findCode, spellReference } = await import(pathToFileURL(module))
const attempt = act => { try { return act() } catch (error) { return { reason: error.reason } } }
const bytes = numbers => Uint8Array.from(numbers.flatMap(one => [one >> 8, one & 255]))

const derived = []
for (const { code, reference } of codes) {
  const { seed, ...keys } = await deriveReturnKeys(code, reference)
  derived.push({ ...keys, seed: Buffer.from(seed).toString('base64url') })
}
const drawn = draws.map(rounds => {
  let round = 0
  return attempt(() => drawCode(words, () => bytes(rounds[Math.min(round++, rounds.length - 1)])))
})
const own = Array.from({ length: 20000 }, () => drawCode(words))
const found = typed.map(one => attempt(() => findCode(one, words)))
const spelled = references.map(one => attempt(() => spellReference(one)))
process.stdout.write(JSON.stringify({ derived, found, references: spelled, drawn, own }))
