// Report Abuse button 1.0.0: icon and words over links to its host
(async () => {
  const home = new URL(document.currentScript?.src || location).origin
  const address = /^(https:\/\/[^/@]+|http:\/\/(localhost|127\.0\.0\.1)(:\d+)?)\/\?from=[a-z\d][a-z\d_-]{0,39}(#context=[\w.-]+)?$/
  const style = `
    span { position: relative; display: inline-grid; text-indent: 0 }
    ::slotted(a)::before { position: absolute !important; inset: 0 !important; content: "" !important }
    ::slotted(a) { position: static !important; opacity: 0 !important }
    slot { display: block }
    data { flex: 1 }
    div {
      align-self: start; display: flex; flex-wrap: wrap; align-items: center; gap: .35em;
      min-width: 100%; outline: 2px solid #000; font-size: max(.92em, 11px); width: 0;
      background: #fff; pointer-events: none; color: #154650; border-radius: 11px
    }
    svg { min-width: 44px; background: #154650; max-width: 64px; border-radius: 11px; forced-color-adjust: none }
    slot, div { grid-area: 1/1 }
    path { fill: #f6c65b }
    @media (prefers-color-scheme: dark) { :host(:not([theme=light])) div { background: #f6c65b } }
    :host([theme=dark]) div { background: #f6c65b }
    :host(:focus-within) div { outline-width: 3px; box-shadow: 0 0 0 3px #fff; outline-offset: 3px }`
  const add = (parent, name, space = '1999/xhtml') =>
    parent.appendChild(document.createElementNS('http://www.w3.org/' + space, name))
  const rest = () => new Promise(setTimeout)
  const draw = async host => {
    await rest()
    const root = host.attachShadow({ mode: 'open' })
    const box = add(root, 'span')
    add(box, 'slot')
    const face = add(box, 'div')
    face.hidden = true
    face.ariaHidden = true
    await rest()
    const icon = add(face, 'svg', '2000/svg')
    icon.setAttribute('viewBox', '0 0 48 48')
    add(icon, 'path', '2000/svg').setAttribute('d', 'M19 39A20 18 0 1 0 10 35L8 45zM16 22v-8a2 2 0 0 1 4 0v7h1v-10a2 2 0 0 1 4 0v10h1v-9a2 2 0 0 1 4 0v9h1v-6a2 2 0 0 1 4 0v11c0 6-4 10-10 10-4 0-6-1-8-4l-7-9a2 2 0 0 1 3-3z')
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(style)
    await rest()
    root.adoptedStyleSheets = [sheet]
    const name = add(face, 'data')
    const dress = () => {
      const link = host.firstElementChild
      const words = host.childElementCount == 1 && link.localName == 'a' && address.test(link.href)
        && [location.origin, link.origin].includes(home)
        && /Report Abuse|Riportio Camdriniaeth/.exec(link.ariaLabel || link.textContent)
      face.hidden = sheet.disabled = !words
      name.textContent = words
      icon.setAttribute('width', link?.querySelector('svg')?.getAttribute('width') || 44)
    }
    new MutationObserver(dress).observe(host, { attributes: true, childList: true, subtree: true })
    dress()
  }
  await rest()
  customElements.define('report-abuse-button', class extends HTMLElement {
    constructor() {
      super()
      draw(this).catch(() => {})
    }
  })
})().catch(() => {})
