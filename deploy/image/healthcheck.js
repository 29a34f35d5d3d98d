/**
 * The image's HEALTHCHECK: 0 when `/healthz` of the server in this container answers 200, else 1. It reads the same
 * variables as the server, so a changed address is asked where it is. HAProxy being away is no reason to restart the
 * control plane, and `/healthz` does not ask for it; readiness is `/readyz` from outside.
 */
import { request } from "node:http"

const { MCP_HOST: host = "", MCP_PORT: port = "", MCP_SOCKET: socketPath = "" } = process.env
const everywhere = ["", "0.0.0.0", "::"].includes(host)
const where = socketPath === "" ? { host: everywhere ? "127.0.0.1" : host, port: port || "8000" } : { socketPath }

/** Shorter than the timeout of HEALTHCHECK: the answer is ours, not a killed process. */
const patience = 4_000

const fail = (why) => {
  console.error(`healthcheck: ${why}`)
  process.exit(1)
}
request({ ...where, path: "/healthz", timeout: patience, agent: false }, (response) => {
  response.resume()
  if (response.statusCode !== 200) fail(`/healthz answered ${response.statusCode}`)
  response.once("end", () => process.exit(0))
}).once("timeout", () => fail(`no answer within ${patience} ms`)).once("error", (error) => fail(error.message)).end()
