// Report Abuse button 1.0.0 (MIT): draws icon and words over a plain link.
try {
  // From another host: only links to that host.
  const source = document.currentScript?.src
  const address = /^(https:\/\/[^/?#@]+|http:\/\/(localhost|127\.0\.0\.1)(:\d+)?)\/\?from=[a-z\d][a-z\d_-]{0,39}(#context=[\w.-]+)?$/
  const style = `
    span { display: inline-grid; position: relative; text-indent: 0 }
    slot, div { grid-area: 1/1 }
    slot { display: block }
    ::slotted(a) { position: static !important; opacity: 0 !important }
    ::slotted(a)::before { position: absolute !important; inset: 0 !important; content: "" !important }
    div {
      display: flex; flex-wrap: wrap; align-items: center; align-self: start; gap: .35em; width: 0; min-width: 100%;
      font-size: max(.92em, 11px); pointer-events: none;
      background: #fff; color: #154650; outline: 2px solid #000; border-radius: 11px
    }
    svg { background: #154650; border-radius: 11px; forced-color-adjust: none }
    data { flex: 1 }
    path { fill: #f6c65b }
    @media (prefers-color-scheme: dark) { :host(:not([theme=light])) div { background: #f6c65b } }
    :host([theme=dark]) div { background: #f6c65b }
    :host(:focus-within) div { outline: 3px solid #000; outline-offset: 3px; box-shadow: 0 0 0 3px #fff }`
  const add = (parent, name, space = 'http://www.w3.org/1999/xhtml') =>
    parent.appendChild(document.createElementNS(space, name))

  customElements.define('report-abuse-button', class extends HTMLElement {
    constructor() {
      super()
      try {
        const root = this.attachShadow({ mode: 'open' })
        const box = add(root, 'span')
        add(box, 'slot')
        const face = add(box, 'div')
        face.setAttribute('aria-hidden', true)
        const icon = add(face, 'svg', 'http://www.w3.org/2000/svg')
        icon.setAttribute('viewBox', '0 0 48 48')
        add(icon, 'path', 'http://www.w3.org/2000/svg').setAttribute('d', 'M19 39A20 18 0 1 0 10 35L8 45zM16 22v-8a2 2 0 0 1 4 0v7h1v-10a2 2 0 0 1 4 0v10h1v-9a2 2 0 0 1 4 0v9h1v-6a2 2 0 0 1 4 0v11c0 6-4 10-10 10-4 0-6-1-8-4l-7-9a2 2 0 0 1 3-3z')
        const name = add(face, 'data')
        const sheet = new CSSStyleSheet()
        sheet.replaceSync(style)
        root.adoptedStyleSheets = [sheet]
        const dress = () => {
          const link = this.firstElementChild
          const words = link?.localName == 'a' && !link.nextElementSibling && address.test(link.href)
            && (!source || source.startsWith(location.origin + '/') || source.startsWith(link.origin + '/'))
            && /Report Abuse|Riportio Camdriniaeth/.exec(link.getAttribute('aria-label') || link.textContent)
          face.hidden = sheet.disabled = !words
          name.textContent = words
          icon.setAttribute('width', link?.querySelector('[width="56"], [width="64"]')?.getAttribute('width') || 44)
        }
        new MutationObserver(dress).observe(this, { attributes: true, childList: true, subtree: true })
        dress()
      } catch {}
    }
  })
} catch {}
