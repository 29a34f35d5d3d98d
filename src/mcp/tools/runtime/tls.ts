/** Tools on certificates as HAProxy's memory has them. Ours are changed by the tools on certificates. */
import * as Schema from "effect/Schema"
import { listSni, showCrtList } from "../../../program/runtime/Tls.ts"
import { reads, tool } from "../../Tool.ts"
import * as Field from "../fields.ts"
import * as Runtime from "./fields.ts"

export const sniListTool = tool({
  name: "haproxy_sni_list",
  title: "Certificates by SNI",
  description:
    "Lists which certificate HAProxy serves for which TLS server name (SNI), by frontend and bind, with its end, "
    + "those not issued here too. Needs HAProxy 3.2. For one host: haproxy_explain; ours: haproxy_list_certs.",
  annotations: reads,
  scope: "read",
  input: {
    frontend: Runtime.maybe("Only this one."),
    search: Runtime.maybe("Text in the name or the file."),
    ...Field.paging(50)
  },
  output: {
    summary: Field.summary,
    names: Schema.Array(
      Schema.Struct({
        sni: Field.text("Server name; * is the default certificate."),
        except: Field.text("Name that the wildcard leaves out."),
        certificate: Field.text("Its file."),
        type: Field.text("ecdsa or rsa."),
        not_after: Field.textOrNull("When it ends, ISO 8601 in UTC."),
        frontend: Field.text("Frontend."),
        bind: Field.text("File and line of the bind.")
      })
    ).annotate({ description: "One page." }),
    scanned: Runtime.scanned,
    ...Runtime.page
  },
  program: listSni
})

export const crtListShowTool = tool({
  name: "haproxy_crt_list_show",
  title: "crt-lists",
  description:
    "Shows the crt-lists of HAProxy's binds and the entries of one: certificate, line, SNI filters and TLS options. "
    + "Use it to see why a certificate is or is not served. To load or delete one: haproxy_load_cert, haproxy_delete_cert.",
  annotations: reads,
  scope: "read",
  input: {
    list: Runtime.maybe("One of the lists; may be left out where there is only one."),
    search: Runtime.search,
    ...Field.paging(50)
  },
  output: {
    summary: Field.summary,
    lists: Field.texts("All lists, at most 20."),
    list: Field.textOrNull("The list that is shown."),
    entries: Schema.Array(
      Schema.Struct({
        certificate: Field.text("Its file."),
        line: Runtime.int("Line; 0: from a folder."),
        options: Field.text("Options and SNI filters.")
      })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: showCrtList
})
