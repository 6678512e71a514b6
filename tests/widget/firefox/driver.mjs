// Drives Firefox for the tests of the button and the form: reads a visit a line, answers with the sights there, a line
// each. Judges nothing: pytest does, with the same expectations as for Chromium.
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
      args: ['--remote-allow-system-access'], // for `runInWindow`
      // Firefox never starts under faketime, with which the tests are run; no page of these tests depends on the day.
      env: { ...process.env, LD_PRELOAD: '' },
      extraPrefsFirefox: {
        'javascript.enabled': hasScript,
        'browser.chrome.site_icons': false, // else each page asks for its favicon
        'browser.cache.memory.enable': false,
        'browser.cache.disk.enable': false,
        // The window's own moving pictures, while a page loads, cost a third of a visit. Our pages hear of it too.
        'ui.prefersReducedMotion': 1,
        'dom.ipc.processPrelaunch.enabled': false // a process for a page that nobody has asked for yet
      }
    }))
  }
  return browsers.get(hasScript)
}

const waitForLoad = page => new Promise(resolve => page.once('load', resolve))

// Acts, and waits until another document has come whole. Back may first change only the address of this one.
async function changeDocument (page, act) {
  await page.evaluate('window.isOld = true')
  let load = waitForLoad(page)
  await act()
  for (const ends = Date.now() + 60000; Date.now() < ends;) {
    // A page that comes back out of memory does not load: it is looked at now and then.
    await Promise.race([load, new Promise(resolve => setTimeout(resolve, 300))])
    load = waitForLoad(page)
    if (await page.evaluate("!window.isOld && document.readyState === 'complete'").catch(() => false)) return
  }
  throw new Error(`No other page came after ${page.url()}.`)
}

// Runs in the window of the browser, around its pages. False in a Firefox that offers no such window (140 may not).
async function runInWindow (page, expression) {
  const { connection } = page.browser()
  const { result: tree } = await connection.send('browsingContext.getTree', { 'moz:scope': 'chrome' })
  const shell = tree.contexts.find(context => context.url.endsWith('/browser.xhtml'))
  await page.bringToFront()
  if (!shell) return false
  const { result } = await connection.send('script.evaluate', {
    expression, target: { context: shell.context }, awaitPromise: true
  })
  if (result.type !== 'success') throw new Error(JSON.stringify(result))
  return true
}

// Alt+Left, where people press it: keys that a driver sends reach only the page.
const BACK_KEY = `{
  const keys = Cc['@mozilla.org/text-input-processor;1'].createInstance(Ci.nsITextInputProcessor)
  const alt = new KeyboardEvent('', { key: 'Alt', code: 'AltLeft', keyCode: 18 })
  const left = new KeyboardEvent('', { key: 'ArrowLeft', code: 'ArrowLeft', keyCode: 37 })
  keys.beginInputTransactionForTests(window)
  for (const [turn, key] of [['keydown', alt], ['keydown', left], ['keyup', left], ['keyup', alt]]) keys[turn](key)
}`

async function pressBack (page) {
  if (!await runInWindow(page, BACK_KEY)) await page.mainFrame().browsingContext.traverseHistory(-1)
}

// Closes the page, and opens it again as "Reopen closed tab" does: with its history and what was typed.
async function closeAndRestore (page) {
  const context = page.browserContext()
  const address = page.url()
  const before = new Set(await context.pages())
  const hasClosed = await runInWindow(page, `(async () => {
    // Those of the visits before: only the one that is closed here may come back.
    while (SessionStore.getClosedTabCountForWindow(window)) SessionStore.forgetClosedTab(window, 0)
    gBrowser.removeTab(gBrowser.selectedTab, { animate: false })
    while (!SessionStore.getClosedTabCountForWindow(window)) await new Promise(resolve => setTimeout(resolve, 20))
    SessionStore.undoCloseTab(window, 0)
  })()`)
  if (!hasClosed) {
    await page.close()
    const opened = await context.newPage()
    await opened.goto(address)
    return opened
  }
  for (const ends = Date.now() + 60000; Date.now() < ends;) {
    const restored = (await context.pages()).find(one => !before.has(one) && one.url() !== 'about:blank')
    if (restored && await restored.evaluate("document.readyState === 'complete'").catch(() => false)) return restored
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`Nothing was restored of ${address}.`)
}

// By its place, as a finger would: puppeteer's own click waits for a script of the page's, which may be off.
async function tap (page, selector) {
  const [x, y] = await page.evaluate(`(() => {
    const part = document.querySelector(${JSON.stringify(selector)})
    part.scrollIntoView({ block: 'center', behavior: 'instant' })
    const box = part.getBoundingClientRect()
    return [box.x + box.width / 2, box.y + box.height / 2]
  })()`)
  await page.mouse.click(x, y)
}

// A page that comes back may be replaced once more, and has no element at all in between.
async function waitForDocument (page) {
  for (const ends = Date.now() + 60000; Date.now() < ends;) {
    if (await page.evaluate("!!document.documentElement && document.readyState === 'complete'").catch(() => false)) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`No whole page came at ${page.url()}.`)
}

const STEPS = {
  look: async (page, source, seen) => {
    await waitForDocument(page)
    seen.push(await page.evaluate(`(${source})()`))
  },
  run: (page, source) => page.evaluate(`(${source})()`),
  press: (page, key) => page.keyboard.press(key),
  follow: (page, key) => Promise.all([page.waitForNavigation(), page.keyboard.press(key)]),
  click: (page, selector) => Promise.all([page.waitForNavigation(), tap(page, selector)]),
  tap,
  change: (page, selector) => changeDocument(page, () => tap(page, selector)),
  open: (page, address) => page.goto(address),
  cookie: (page, text) => page.browserContext().setCookie({
    ...JSON.parse(text), domain: new URL(page.url()).hostname, path: '/', httpOnly: true, secure: false
  }),
  // From a page of the same site, as a redirect of it would.
  go: (page, path) => changeDocument(page, () => page.evaluate(`location.href = ${JSON.stringify(path)}`)),
  'back by key': page => changeDocument(page, () => pressBack(page)),
  'back by history': page => changeDocument(page, () => page.mainFrame().browsingContext.traverseHistory(-1))
}

async function visit ({ address, steps, has_script: hasScript, width, height }) {
  const context = await (await openBrowser(hasScript)).createBrowserContext()
  const requests = []
  const complaints = []
  async function watchPage (page) {
    page.on('request', request => requests.push(request.url()))
    page.on('console', message => complaints.push(message.text()))
    page.on('pageerror', error => complaints.push(error.message))
    // Not page.setViewport: that also sends emulation.setScreenOrientationOverride, which Firefox has only since 144,
    // and Debian may still hold 140. The version of puppeteer-core is locked, so this inside of it stays as it is.
    await page.mainFrame().browsingContext.setViewport({ viewport: { width, height } })
    return page
  }
  try {
    let page = await watchPage(await context.newPage())
    await page.evaluateOnNewDocument(readFileSync(watch, 'utf8'))
    await page.goto(address)
    const seen = []
    for (const [name, what] of steps) {
      try {
        if (name === 'restore') page = await watchPage(await closeAndRestore(page))
        else await STEPS[name](page, what, seen)
      } catch (error) {
        throw new Error(`${name} ${what} at ${page.url()} after ${JSON.stringify(seen.at(-1))}: ${error}`)
      }
    }
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
