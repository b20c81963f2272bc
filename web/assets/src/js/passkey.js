// Passkeys: sign in and register.
import { $, $$, post } from "./dom.js";

const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0)).buffer;
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function creation(o) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(o);
  return { ...o, challenge: decode(o.challenge), user: { ...o.user, id: decode(o.user.id) }, excludeCredentials: (o.excludeCredentials ?? []).map((c) => ({ ...c, id: decode(c.id) })) };
}
function request(o) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(o);
  return { ...o, challenge: decode(o.challenge), allowCredentials: (o.allowCredentials ?? []).map((c) => ({ ...c, id: decode(c.id) })) };
}
function wire(credential) {
  if (credential.toJSON) return credential.toJSON();
  const r = credential.response;
  const response = { clientDataJSON: encode(r.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) if (r[name]) response[name] = encode(r[name]);
  if (r.getTransports) response.transports = r.getTransports();
  return { id: credential.id, rawId: encode(credential.rawId), type: credential.type, response, clientExtensionResults: credential.getClientExtensionResults(), authenticatorAttachment: credential.authenticatorAttachment ?? undefined };
}

function refuse(text) {
  const place = $("#passkey-refusal");
  if (!place) return;
  place.hidden = !text;
  place.textContent = text;
}

async function go(button) {
  const kind = button.dataset.passkey;
  refuse("");
  button.disabled = true;
  try {
    const begun = await post(`/auth/passkey/${kind}/begin`, {});
    const options = begun.publicKey ?? begun.options?.publicKey ?? begun.options ?? begun;
    const credential = kind === "register"
      ? await navigator.credentials.create({ publicKey: creation(options) })
      : await navigator.credentials.get({ publicKey: request(options) });
    const query = begun.session ? `?session=${encodeURIComponent(begun.session)}` : "";
    const done = await post(`/auth/passkey/${kind}/finish${query}`, wire(credential));
    if (kind === "register") location.reload();
    else location.assign(button.dataset.next && button.dataset.next !== "/" ? button.dataset.next : done.next || "/");
  } catch (error) {
    if (error.name === "NotAllowedError") refuse("The passkey was not used. Try again, or use another way below.");
    else if (error.name === "InvalidStateError") refuse("This device already has a passkey for you.");
    else if (error.name === "SecurityError") refuse("This address cannot use passkeys. Open the room by its name over https, or on localhost.");
    else refuse(error.message || "The passkey did not work. Use a recovery code.");
    button.disabled = false;
  }
}

export function startPasskeys() {
  const all = $$("[data-passkey]");
  if (all.length === 0) return;
  if ($('meta[name="desk"]')) { // the window cannot make or use them and hides the buttons
    for (const way of $$("details.other-way")) way.open = true;
    return;
  }
  if (!window.PublicKeyCredential) {
    for (const button of all) button.disabled = true;
    refuse(isSecureContext ? "This browser knows no passkeys. Use a recovery code." : "Passkeys need https or localhost. Use a recovery code here.");
    return;
  }
  for (const button of all) button.addEventListener("click", () => go(button));
}
