// What a page shows of its buttons, for whoever judges it. Changes nothing.
() => {
  const boxOf = part => {
    const { x, y, width, height } = part.getBoundingClientRect()
    return [x, y, width, height].map(side => Math.round(side * 100) / 100)
  }
  const findAll = root => [...root.querySelectorAll('*')].flatMap(part =>
    [part, ...(part.shadowRoot && part.localName !== 'report-abuse-button' ? findAll(part.shadowRoot) : [])])
  const isPressed = (link, x, y) => link.contains(link.getRootNode().elementFromPoint(x, y))
  const lookAt = button => {
    const link = button.localName === 'a' ? button : button.querySelector('a')
    const face = button.shadowRoot && button.shadowRoot.querySelector('[aria-hidden=true]')
    const isDressed = Boolean(face) && getComputedStyle(face).display !== 'none' && getComputedStyle(link).opacity === '0'
    const shown = isDressed ? face : link
    const look = shown && getComputedStyle(shown)
    const icon = shown && shown.querySelector('svg, img')
    const box = boxOf(shown || button)
    const [left, top, right, bottom] = [box[0] + 3, box[1] + 3, box[0] + box[2] - 3, box[1] + box[3] - 3]
    return {
      isDefined: button.matches(':defined'),
      isDressed,
      box,
      iconBox: icon && boxOf(icon),
      words: shown && shown.innerText.trim(),
      colour: look && look.color,
      ground: look && look.backgroundColor,
      font: look && look.fontSize,
      opacity: link && getComputedStyle(link).opacity,
      address: link && link.getAttribute('href'),
      inside: button.innerHTML,
      label: link && link.getAttribute('aria-label'),
      // The corners and the middle of what is shown: all of it must be the link.
      isPressed: Boolean(link) && [[left, top], [right, top], [left, bottom], [right, bottom],
        [(left + right) / 2, (top + bottom) / 2]].every(([x, y]) => isPressed(link, x, y))
    }
  }
  const after = document.querySelector('#after')
  // A page whose script is off can keep nothing, and no promise of it is ever kept.
  const hasScript = 'noted' in window && !matchMedia('(scripting: none)').matches
  const seen = {
    buttons: findAll(document).filter(part => part.localName === 'report-abuse-button' || part.id === 'plain').map(lookAt),
    after: after && boxOf(after),
    noted: hasScript ? window.noted : null,
    resources: performance.getEntriesByType('resource').map(resource => resource.name)
      .filter(name => !name.endsWith('/favicon.ico')), // a browser's own wish
    stored: [document.cookie.length],
    isIsolated: crossOriginIsolated,
    referrer: document.referrer,
    sideways: document.documentElement.scrollWidth - innerWidth
  }
  if (!hasScript) return seen
  return Promise.all([indexedDB.databases(), caches.keys()]).then(([databases, kept]) => ({
    ...seen, stored: [...seen.stored, localStorage.length, sessionStorage.length, databases.length, kept.length]
  }))
}
