// A webtorrent client, which finds peers by its node of the DHT only.

import WebTorrent from 'webtorrent'
import { bytes, endpoint, flag, serve } from './lines.mjs'

const listen = endpoint(flag('--listen'))
const client = new WebTorrent({
  dht: { bootstrap: flag('--known').split(',') },
  dhtPort: listen.port,
  torrentPort: listen.port,
  tracker: false, lsd: false, utp: false, utPex: false, natUpnp: false, natPmp: false
})
const joined = new Promise(resolve => client.dht.once('ready', resolve))

// Ends with the torrent's next event of this name.
function next (torrent, name) {
  return new Promise((resolve, reject) => {
    torrent.once(name, resolve)
    torrent.once('error', reject)
  })
}

const functions = {
  async join () {
    await joined
    return { nodes: client.dht.nodes.count() }
  },
  async seed ({ name, content }) {
    await joined // before, an announce reaches no node
    const torrent = client.seed(bytes(content), { name, announceList: [] })
    await next(torrent, 'ready')
    await next(torrent, 'dhtAnnounce')
    return { info_hash: torrent.infoHash }
  },
  async download ({ info_hash: infoHash }) {
    await joined
    const torrent = client.add(`magnet:?xt=urn:btih:${infoHash}`)
    await next(torrent, 'done')
    return new Promise((resolve, reject) => {
      torrent.files[0].getBuffer((error, content) => {
        if (error) reject(error)
        else resolve({ name: torrent.files[0].name, content: content.toString('hex') })
      })
    })
  }
}

client.on('error', error => { console.error(error) })
client.dht.once('listening', () => serve(functions))
