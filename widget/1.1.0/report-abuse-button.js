// report-abuse-button 1.1.0, told in README.md
(async () => {
  const home = new URL(document.currentScript?.src || location).origin
  const address = /^http(s:\/\/[\w.:-]+|:\/\/127\.0\.0\.1[\d:]*)\/\?from=[a-z\d][a-z\d_-]{0,39}(#context=[\w.-]+)?$/
  const style = `
    ::slotted(a)::before { position: absolute !important; content: "" !important; inset: -3px !important }
    ::slotted(a) { position: static !important; opacity: 0 !important }
    slot { display: block }
    span { position: relative; display: inline-grid }
    slot, div { grid-area: 1/1 }
    div {
      align-self: start; display: flex; border-radius: 14px; align-items: center; outline: 2px solid #000;
      color: #154650; min-width: 100%; width: 0; pointer-events: none; padding: 3px; margin: -3px;
      flex-wrap: wrap; font-size: max(.92em, 11px); background: #f6c65b; gap: .35em
    }
    svg { max-width: 64px; background: #154650; min-width: 44px; forced-color-adjust: none; border-radius: 11px }
    data { flex: 1; position: relative; top: -1px }
    path { fill: #f6c65b }
    :host(:focus-within) div { box-shadow: 0 0 0 3px #fff; outline-width: 3px; outline-offset: 3px }`
  const add = (parent, name, space = '1999/xhtml') =>
    parent.appendChild(document.createElementNS('http://www.w3.org/' + space, name))
  const rest = () => new Promise(setTimeout)
  const draw = async host => {
    await rest()
    const box = document.createElement('span')
    add(box, 'slot')
    const face = add(box, 'div')
    face.hidden = face.ariaHidden = true
    await rest()
    const icon = add(face, 'svg', '2000/svg')
    icon.setAttribute('viewBox', '0 0 48 48')
    add(icon, 'path', '2000/svg').setAttribute('d', 'M19 39A20 18 0 1 0 10 35L8 45zM16 22v-8a2 2 0 0 1 4 0v7h1v-10a2 2 0 0 1 4 0v10h1v-9a2 2 0 0 1 4 0v9h1v-6a2 2 0 0 1 4 0v11c0 6-4 10-10 10-4 0-6-1-8-4l-7-9a2 2 0 0 1 3-3z')
    await rest()
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(style)
    const name = add(face, 'data')
    const dress = () => {
      const link = host.querySelector(':scope > a:only-child:not([slot],[hidden],[inert],:has(:not(svg,rect,path,img)))')
      const words = address.test(link?.host && link.href) && (home == location.origin || home == link.origin)
        && /Report Abuse|Riportio Camdriniaeth/.exec(link.ariaLabel || link.textContent)
      sheet.disabled = !words
      name.textContent = words
      icon.setAttribute('width', link?.querySelector('svg')?.getAttribute('width') || 44)
    }
    new MutationObserver(dress).observe(host, { attributes: true, childList: true, subtree: true })
    await rest()
    dress()
    await rest()
    const root = host.attachShadow({ mode: 'open' })
    root.append(box)
    root.adoptedStyleSheets = [sheet]
  }
  await rest()
  customElements.define('report-abuse-button', class extends HTMLElement {
    constructor() {
      super()
      draw(this).catch(() => {})
    }
  })
})().catch(() => {})
