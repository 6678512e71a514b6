// Drives Firefox for the tests of the button: reads a visit a line, answers with what was seen there, a line each.
// Judges nothing: pytest does, with the same expectations as for Chromium.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import puppeteer from 'puppeteer-core'

const [executablePath, watch] = process.argv.slice(2)
const browsers = new Map() // by whether pages may run script: Firefox has no such switch for one page

async function openBrowser (hasScript) {
  if (typeof hasScript !== 'boolean') throw new TypeError('A visit says whether its pages may run script.')
  if (!browsers.has(hasScript)) {
    browsers.set(hasScript, await puppeteer.launch({
      browser: 'firefox',
      executablePath,
      headless: true,
      protocolTimeout: 60000,
      defaultViewport: null, // a viewport is set below
      // Firefox never starts under faketime, with which the tests are run; no page of these tests depends on the day.
      env: { ...process.env, LD_PRELOAD: '' },
      extraPrefsFirefox: {
        'javascript.enabled': hasScript,
        'browser.chrome.site_icons': false, // else each page asks for its favicon
        'browser.cache.memory.enable': false,
        'browser.cache.disk.enable': false,
        'dom.ipc.processPrelaunch.enabled': false // a process for a page that nobody has asked for yet
      }
    }))
  }
  return browsers.get(hasScript)
}

const STEPS = {
  look: async (page, source, seen) => { seen.push(await page.evaluate(`(${source})()`)) },
  run: (page, source) => page.evaluate(`(${source})()`),
  press: (page, key) => page.keyboard.press(key),
  follow: (page, key) => Promise.all([page.waitForNavigation(), page.keyboard.press(key)]),
  // By its place, as a finger would: puppeteer's own click waits for a script of the page's, which may be off.
  click: async (page, selector) => {
    const [x, y] = await page.evaluate(`(() => {
      const part = document.querySelector(${JSON.stringify(selector)})
      part.scrollIntoView({ block: 'center', behavior: 'instant' })
      const box = part.getBoundingClientRect()
      return [box.x + box.width / 2, box.y + box.height / 2]
    })()`)
    await Promise.all([page.waitForNavigation(), page.mouse.click(x, y)])
  }
}

async function visit ({ address, steps, has_script: hasScript, width, height }) {
  const context = await (await openBrowser(hasScript)).createBrowserContext()
  try {
    const page = await context.newPage()
    const requests = []
    const complaints = []
    page.on('request', request => requests.push(request.url()))
    page.on('console', message => complaints.push(message.text()))
    page.on('pageerror', error => complaints.push(error.message))
    // Not page.setViewport: that also sends emulation.setScreenOrientationOverride, which Firefox has only since 144,
    // and Debian may still hold 140. The version of puppeteer-core is locked, so this inside of it stays as it is.
    await page.mainFrame().browsingContext.setViewport({ viewport: { width, height } })
    await page.evaluateOnNewDocument(readFileSync(watch, 'utf8'))
    await page.goto(address)
    const seen = []
    for (const [name, what] of steps) await STEPS[name](page, what, seen)
    return { seen, requests, complaints, cookies: (await page.cookies()).length, address: page.url() }
  } finally {
    await context.close()
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await visit(JSON.parse(line)).catch(error => ({ failed: String(error) }))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
for (const browser of browsers.values()) await browser.close()
