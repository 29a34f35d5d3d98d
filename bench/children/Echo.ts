/**
 * Floor of an MCP call: a `node:http` server that reads a body and answers prepared bytes. Arguments: the port and
 * the file of the answer's body.
 */
import { readFileSync } from "node:fs"
import { createServer } from "node:http"

const [port, file] = process.argv.slice(2)
const answer = readFileSync(file!)

const server = createServer({ noDelay: true }, (request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.once("end", () => {
    Buffer.concat(chunks).toString("utf8")
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer)
  })
})
server.keepAliveTimeout = 65_000
server.listen(Number(port), "127.0.0.1")
process.once("SIGTERM", () => {
  server.close()
  server.closeAllConnections()
})
