// Runs before anything of a page: notes what the browser refused, what moved, and each box that the buttons' parts had.
window.noted = { refused: [], shifts: [], boxes: [] }
addEventListener('securitypolicyviolation', event => {
  window.noted.refused.push(`${event.effectiveDirective} ${event.blockedURI}`)
}, true)
if (PerformanceObserver.supportedEntryTypes.includes('layout-shift')) { // Firefox has none
  new PerformanceObserver(list => {
    for (const shift of list.getEntries()) window.noted.shifts.push(shift.value)
  }).observe({ type: 'layout-shift', buffered: true })
}
requestAnimationFrame(function noteBoxes () {
  const buttons = [...document.querySelectorAll('report-abuse-button')]
  // Not of the element itself: the rectangle of an inline box is as tall as its font and paints nothing.
  const parts = [...document.querySelectorAll('report-abuse-button a, report-abuse-button svg, .after')]
  if (document.querySelector('#after')) {
    const rounded = part => Object.values(part.getBoundingClientRect().toJSON()).map(side => Math.round(side * 100) / 100)
    const now = JSON.stringify([buttons.every(button => button.matches(':defined')), parts.map(rounded)])
    if (!window.noted.boxes.includes(now)) window.noted.boxes.push(now)
  }
  requestAnimationFrame(noteBoxes)
})
