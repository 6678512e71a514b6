// @ts-check
// Asks the worker that does all cryptography of the form, one question at a time.

/**
 * Start the worker; `policy` is the one that may name its address.
 * @param {string} url @param {{ createScriptURL(url: string): any }} policy
 */
export function startSealer(url, policy) {
  const worker = new Worker(policy.createScriptURL(url), { type: "module" });
  /** @type {Map<number, { resolve: (end: any) => void, reject: (reason: Error) => void }>} */
  const open = new Map();
  let last = 0;
  worker.onmessage = ({ data }) => {
    const asked = open.get(data.id);
    open.delete(data.id);
    if (data.ok) asked?.resolve(data);
    else asked?.reject(new Error(data.fault));
  };
  worker.onerror = () => {
    for (const { reject } of open.values()) reject(new Error("broken"));
    open.clear();
  };
  return {
    /** @param {string} task @param {object} fields @returns {Promise<any>} */
    ask: (task, fields) =>
      new Promise((resolve, reject) => {
        last += 1;
        open.set(last, { resolve, reject });
        worker.postMessage({ ...fields, id: last, do: task });
      }),
    stop: () => worker.terminate(),
  };
}
