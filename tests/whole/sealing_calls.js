// Makes calls of the form's sealing script in its page and returns how each ended. Bytes travel as {"bytes": base64url},
// times as {"time": text}, and what an earlier call returned as {"of": number, "name": field}.
async calls => {
  const toText = bytes => btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))
    .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  const toBytes = text => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), one => one.charCodeAt(0))
  const ends = []
  const results = []
  function read (given) {
    if (given === null || typeof given !== 'object') return given
    if ('bytes' in given) return new Uint8Array([...toBytes(given.bytes), ...new Uint8Array(given.zeros ?? 0)])
    if ('time' in given) return new Date(given.time)
    if ('of' in given) return results[given.of][given.name]
    if (Array.isArray(given)) return given.map(read)
    return Object.fromEntries(Object.entries(given).map(([name, one]) => [name, read(one)]))
  }
  for (const [name, ...given] of calls) {
    try {
      const result = await globalThis.sealing[name](...given.map(read))
      results.push(result)
      ends.push({ result: result instanceof Uint8Array ? { bytes: toText(result) } : result })
    } catch (error) {
      results.push(undefined)
      // Only a refusal is an end: any other error is a fault of the script, or of the test.
      ends.push(error instanceof globalThis.sealing.WireError ? { reason: error.reason } : { broke: String(error) })
    }
  }
  return JSON.stringify(ends) // Firefox's driver loses an object that stands twice in a result
}
