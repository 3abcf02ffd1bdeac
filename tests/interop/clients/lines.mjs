// Serves requests: JSON documents, one a line, on the standard input; replies on
// the standard output. The requests are in tests/interop/README.md.

import { createInterface } from 'node:readline'

// The value behind a flag of the command line: flag('--listen') is HOST:PORT.
export function flag (name) {
  return process.argv[process.argv.indexOf(name) + 1]
}

// A host and a port, of HOST:PORT.
export function endpoint (text) {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) }
}

function write (document) {
  process.stdout.write(JSON.stringify(document) + '\n')
}

// Says that the client listens, then answers each request with the function of
// its name.
export function serve (functions) {
  write({ ready: true })
  const input = createInterface({ input: process.stdin })
  input.on('line', async line => {
    const request = JSON.parse(line)
    try {
      write({ id: request.id, result: await functions[request.do](request) })
    } catch (error) {
      write({ id: request.id, error: String(error.message || error) })
    }
  })
  input.on('close', () => process.exit(0))
}

export const bytes = hex => Buffer.from(hex, 'hex')
