// A node of bittorrent-dht.

import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import DHT from 'bittorrent-dht'
import { bytes, endpoint, flag, serve } from './lines.mjs'

// What precedes the 32 bytes of an Ed25519 key in DER.
const SECRET_HEAD = bytes('302e020100300506032b657004220420')
const PUBLIC_HEAD = bytes('302a300506032b6570032100')

function publicKey (raw) {
  const der = Buffer.concat([PUBLIC_HEAD, raw])
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

function secretKey (seed) {
  const der = Buffer.concat([SECRET_HEAD, seed])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}

function isValid (signature, message, key) {
  return verify(null, message, publicKey(key), signature)
}

// Calls a function that ends with a callback.
function promised (start) {
  return new Promise((resolve, reject) => {
    start((error, value) => error ? reject(error) : resolve(value))
  })
}

const listen = endpoint(flag('--listen'))
const dht = new DHT({ bootstrap: flag('--known').split(','), verify: isValid })
const ready = new Promise(resolve => dht.once('ready', resolve))

const found = new Map()
dht.on('peer', (peer, infoHash) => {
  const key = infoHash.toString('hex')
  if (!found.has(key)) found.set(key, new Set())
  found.get(key).add(`${peer.host}:${peer.port}`)
})

function targetOf (key, salt) {
  const hash = createHash('sha1').update(key)
  return salt.length ? hash.update(salt).digest() : hash.digest()
}

const functions = {
  async join () {
    await ready
    return { nodes: dht.nodes.count() }
  },
  async announce ({ info_hash: infoHash, port }) {
    const stored = await promised(done => dht.announce(infoHash, port, done))
    return { stored }
  },
  async get_peers ({ info_hash: infoHash }) {
    await promised(done => dht.lookup(infoHash, done))
    return { peers: [...found.get(infoHash) || []] }
  },
  async put_immutable ({ value }) {
    return promised(done => {
      dht.put({ v: bytes(value) }, (error, target) => {
        done(error, target && { target: target.toString('hex') })
      })
    })
  },
  async get_immutable ({ target }) {
    const reply = await promised(done => dht.get(target, { cache: false }, done))
    return { value: reply && reply.v.toString('hex') }
  },
  async put_mutable ({ seed, public: key, salt, seq, cas, value }) {
    const secret = secretKey(bytes(seed))
    const item = {
      k: bytes(key), seq, v: bytes(value),
      sign: message => sign(null, message, secret)
    }
    if (salt) item.salt = bytes(salt)
    if (cas !== undefined) item.cas = cas
    return promised(done => {
      dht.put(item, (error, target) => {
        done(error, target && { target: target.toString('hex') })
      })
    })
  },
  async get_mutable ({ public: key, salt }) {
    const options = { cache: false }
    if (salt) options.salt = bytes(salt)
    const target = targetOf(bytes(key), bytes(salt))
    const reply = await promised(done => dht.get(target, options, done))
    return reply ? { value: reply.v.toString('hex'), seq: reply.seq } : {}
  }
}

dht.listen(listen.port, listen.host, () => serve(functions))
