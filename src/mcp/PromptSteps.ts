/**
 * The words of the prompts: what to do step by step, which tool to call for it, and what success means. Each ends with
 * what to do when a call fails, because that is when steps are needed most.
 */

const whenItFails =
  `If a call fails: follow its hint. BUSY, TIMEOUT, HAPROXY_UNREACHABLE: the same call may work in a moment (retryable says so). OUTCOME_UNKNOWN: call haproxy_operation with the change_id first, and do not repeat before you know. Writes name a desired state: repeating one that is done answers changed=false. A success means that the change is durable, live in HAProxy and read back.`

/** A site fails. */
export const incidentSteps = (domain: string): string =>
  `# Incident triage: ${domain}

Find out why ${domain} fails or is slow, and say it before you change anything. The state below was read just now.

1. Read "What becomes of a request now": outcome and problems say where a request ends. no_route: the domain is not in HAProxy's map. no_backend or no_server: 503. served: the site answers through HAProxy, so look at the servers, the certificate and the time.
2. Read the servers: desired state (ready, drain, maint, weight 0 takes nothing) beside the observed status (UP, DOWN with its check_status). All in drain or maint: somebody took them out; DOWN: the server itself fails its check.
3. Read the last changes: what changed shortly before it began? Name the change_id, who and when. Many domains at once: call haproxy_health (reconciler.in_sync, components) and haproxy_stats.
4. Read the certificate: ended, not loaded, or not for this host (covers_host) is a TLS failure and no failure of servers. Renew with haproxy_renew_cert.
5. Tell the user: what is broken, since when, the evidence, and the smallest change that mends it. Ask before you make one that takes servers or domains out.
6. To mend: haproxy_set_server_state ready puts a server back; haproxy_set_server_state drain takes a failing one out while others are UP (it finishes what it has, nobody is cut); haproxy_set_server_weight shifts load; haproxy_add_server adds one. One change at a time.
7. Check after each change: haproxy_domain_health for ${domain}, then haproxy_explain.

${whenItFails}`

/** New code on the servers behind a domain. */
export const deploySteps = (domain: string): string =>
  `# Safe deploy behind ${domain}

Take one server after the other out of traffic, deploy on it, and put it back, so that no request fails. The state below was read just now: note every slot with its weight and state first, to put it back as it was.

Before: with one server that takes traffic, a drain takes the site down: add a second one first (haproxy_add_server) or ask the user. Domains that share the pool (shares_with) are touched, too. If a server is DOWN already, mend that first.

For each slot, one at a time:
1. haproxy_set_server_state with domain, slot, state=drain: no new sessions go there, those it has go on.
2. haproxy_wait_drain with domain and slot, timeout up to 45: wait until drained is true; call it again while sessions end. Nobody is cut off. If they do not end, ask the user whether to go on with state=maint.
3. Now the deploy itself happens, outside of HAProxy: tell the user that slot and address are out of traffic, and wait for the word that it is done.
4. haproxy_set_server_weight with a small weight (a tenth of the old one, at least 1), then haproxy_set_server_state state=ready: a first share of traffic.
5. haproxy_domain_health: the server must be UP with a good check; haproxy_list_servers shows its sessions. It fails: state=drain again at once, and stop.
6. haproxy_set_server_weight back to what it was. Then the next slot.

After the last one: haproxy_domain_health must say healthy, and every weight and state is what it was before.

${whenItFails}`

/** A new certificate. */
export const rotateSteps = (domain: string): string =>
  `# Rotate the certificate of ${domain}

Get a new certificate and prove that HAProxy shows it. The old one is served until the new one is loaded: there is no gap, and no reload. The state below was read just now.

1. Read "Its certificate": name, domains that it stands for, source, not_after and days_left, last_error, next_attempt, loaded. NOT_FOUND: there is none: use haproxy_issue_cert for ${domain} instead, after asking the user.
2. source=file: it was put there by hand and is not renewed here. Ask for the new file in HAProxy's certificate folder, then haproxy_load_cert with its name; skip step 3.
3. source=acme: haproxy_renew_cert with domain = the certificate's name and force=true (without force it is renewed only when due). CAs limit how often: do not repeat after a failure, read last_error. An operation_id in the answer means that it goes on: follow it with haproxy_operation.
4. Check the answer: proved=true means that a TLS handshake with HAProxy showed the new certificate. Compare fingerprint_sha256 and not_after with those below: they must differ.
5. haproxy_explain for the host: certificate.covers_host is true and its fingerprint is the new one. haproxy_cert_info: loaded is true.
6. Tell the user the new not_after, and which other domains (needed_by) use the same certificate.

${whenItFails}`
