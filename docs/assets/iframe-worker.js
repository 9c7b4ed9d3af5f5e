// Web workers for a page that is opened from a disk, where a browser refuses to start any: the search of the site runs in one.
// A worker becomes a hidden frame, which runs the same script. Elsewhere the browser's own workers stay.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      const inside = this.frame.contentWindow
      inside.document.open()
      inside.document.write(`<html><body><script src="${url}"></` + `script></body></html>`)
      inside.document.close()
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", {data}))
      inside.importScripts = (...urls) => urls.reduce((before, src) => before.then(() => new Promise(loaded => {
        const script = inside.document.createElement("script")
        Object.assign(script, {src, onload: loaded})
        inside.document.body.append(script)
      })), Promise.resolve())
      this.ready = new Promise(loaded => { this.frame.onload = loaded })
    }
    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", {data})))
    }
    terminate() {
      this.frame.remove()
    }
  }
}
