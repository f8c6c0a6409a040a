// `hyperdrive cert …`: as `wrangler cert`, into the local registry.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/prompt.hpp"
#include "core/base/file.hpp"
#include "core/secrets/certificate_file.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr std::size_t kMostBytes = 1u << 20;

constexpr Flag kAuthorityFlags[] = {
    {.name = "name", .help = "The name for the certificate"},
    {.name = "ca-cert",
     .help = "The path to a certificate file (.pem) containing a chain of CA certificates to "
             "upload",
     .offer = Offer::kFiles},
};
constexpr Flag kClientFlags[] = {
    {.name = "cert",
     .help = "The path to a certificate file (.pem) containing a chain of certificates to upload",
     .offer = Offer::kFiles},
    {.name = "key",
     .help = "The path to a file containing the private key for your leaf certificate",
     .offer = Offer::kFiles},
    {.name = "name", .help = "The name for the certificate"},
};
constexpr Flag kDeleteFlags[] = {
    {.name = "id", .help = "The id of the certificate to delete"},
    {.name = "name", .help = "The name of the certificate to delete"},
};

constexpr Example kAuthorityExamples[] = {
    {"hyperdrive cert upload certificate-authority --ca-cert ca.pem --name my-ca",
     "then: create … --ca-certificate-id ID --sslmode verify-full"},
};
constexpr Example kClientExamples[] = {
    {"hyperdrive cert upload mtls-certificate --cert client.pem --key client.key --name me",
     "then: create … --mtls-certificate-id ID"},
};
constexpr Example kListExamples[] = {{"hyperdrive cert list", "ids, names, when they end"}};
constexpr Example kDeleteExamples[] = {{"hyperdrive cert delete --name my-ca", "asks first"}};

ordered_json json_of(const core::Certificate& certificate) {
  return {{"id", certificate.id},
          {"name", certificate.name},
          {"ca", certificate.ca},
          {"certificates", certificate.pem},
          {"issuer", certificate.issuer},
          {"serial_number", certificate.serial_number},
          {"signature", certificate.signature},
          {"expires_on", certificate.expires_on},
          {"uploaded_on", certificate.uploaded_on}};
}

core::Result<std::string> required_path(Context& context, std::string_view flag) {
  auto path = context.args().text(flag);
  if (path) return std::move(*path);
  return core::usage(fmt::format("Missing required argument: {}", flag),
                     fmt::format("Give the path of a PEM file: --{} FILE", flag));
}

/// Reads and checks the file; the rest of the certificate is the caller's.
core::Result<core::Certificate> certificate_of(const std::string& path) {
  auto pem = core::read_file(path, kMostBytes);
  if (!pem) return tl::unexpected(pem.error());
  auto facts = core::read_certificates(*pem, path);
  if (!facts) return tl::unexpected(facts.error());
  core::Certificate certificate;
  certificate.pem = std::move(*pem);
  certificate.ca = facts->authority;
  certificate.issuer = facts->issuer;
  certificate.serial_number = facts->serial_number;
  certificate.signature = facts->signature;
  certificate.expires_on = facts->expires_on;
  return certificate;
}

Outcome store(Context& context, core::Certificate certificate, std::string_view kind) {
  Output& out = context.out();
  certificate.name = context.args().text_or("name", "");
  const std::string name = certificate.name.empty() ? "" : " " + certificate.name;
  out.say(fmt::format("Uploading {}{}...", kind, name));
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto stored = (*registry)->add_certificate(std::move(certificate));
  if (!stored) return tl::unexpected(stored.error());
  out.document_if_json(json_of(*stored));
  out.say(fmt::format("Success! Uploaded {}{}\nID: {}\nIssuer: {}\nExpires on {}", kind, name,
                      stored->id, stored->issuer, stored->expires_on));
  if (out.quiet()) out.print(stored->id);
  return 0;
}

Outcome upload_authority(Context& context) {
  auto path = required_path(context, "ca-cert");
  if (!path) return tl::unexpected(path.error());
  auto certificate = certificate_of(*path);
  if (!certificate) return tl::unexpected(certificate.error());
  if (!certificate->ca) {
    return core::fail(fmt::format("The first certificate in {} is not of an authority.", *path),
                      "A CA certificate says so itself (basicConstraints CA:TRUE). For a client's: "
                      "hyperdrive cert upload mtls-certificate");
  }
  return store(context, std::move(*certificate), "CA Certificate");
}

Outcome upload_client(Context& context) {
  auto path = required_path(context, "cert");
  if (!path) return tl::unexpected(path.error());
  auto key_path = required_path(context, "key");
  if (!key_path) return tl::unexpected(key_path.error());
  auto certificate = certificate_of(*path);
  if (!certificate) return tl::unexpected(certificate.error());
  auto key = core::read_file(*key_path, kMostBytes);
  if (!key) return tl::unexpected(key.error());
  certificate->ca = false;
  certificate->key_pem = core::Secret(std::move(*key));
  auto pair = core::check_key_belongs(certificate->pem, certificate->key_pem, *key_path);
  if (!pair) return tl::unexpected(pair.error());
  return store(context, std::move(*certificate), "mTLS Certificate");
}

Outcome list(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto certificates = (*registry)->list_certificates();
  if (!certificates) return tl::unexpected(certificates.error());
  ordered_json array = ordered_json::array();
  for (const core::Certificate& certificate : *certificates) {
    array.push_back(json_of(certificate));
    context.out().print(fmt::format(
        "ID: {}\nName: {}\nIssuer: {}\nCreated on: {}\nExpires on: {}{}\n", certificate.id,
        printable(certificate.name), printable(certificate.issuer), certificate.uploaded_on,
        certificate.expires_on, certificate.ca ? "\nCA: true" : ""));
  }
  context.out().document_if_json(array);
  if (certificates->empty()) {
    context.out().note(
        "There is none yet: hyperdrive cert upload certificate-authority --ca-cert "
        "FILE");
  }
  return 0;
}

Outcome remove(Context& context) {
  const auto id = context.args().text("id");
  const auto name = context.args().text("name");
  if (id.has_value() == name.has_value()) {
    return core::usage(id ? "Can't provide both --id and --name." : "Must provide --id or --name.",
                       "`hyperdrive cert list` shows both.");
  }
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto certificate = (*registry)->find_certificate(id ? *id : *name);
  if (!certificate) return tl::unexpected(certificate.error());
  const std::string title = fmt::format("certificate {} ({})", certificate->id, certificate->name);
  if (context.may_ask()) {
    auto sure =
        ask_yes_no(context.out(), fmt::format("Are you sure you want to delete {}?", title), true);
    if (!sure) return tl::unexpected(sure.error());
    if (!*sure) {
      context.out().say("Not deleting");
      return 0;
    }
  }
  auto gone = (*registry)->remove_certificate(certificate->id);
  if (!gone) return tl::unexpected(gone.error());
  context.out().document_if_json({{"deleted", gone->id}, {"name", gone->name}});
  context.out().say(fmt::format("Deleted {} successfully", title));
  return 0;
}

}  // namespace

const Command kCertUploadCertificateAuthority{
    .path = "cert upload certificate-authority",
    .summary = "Upload a CA certificate chain",
    .flags = kAuthorityFlags,
    .examples = kAuthorityExamples,
    .run = upload_authority,
};

const Command kCertUploadMtlsCertificate{
    .path = "cert upload mtls-certificate",
    .summary = "Upload a client certificate with its key",
    .details = "The key is stored sealed, as passwords are.",
    .flags = kClientFlags,
    .examples = kClientExamples,
    .run = upload_client,
};

const Command kCertList{
    .path = "cert list",
    .summary = "List uploaded certificates",
    .examples = kListExamples,
    .run = list,
};

const Command kCertDelete{
    .path = "cert delete",
    .summary = "Delete a certificate",
    .flags = kDeleteFlags,
    .examples = kDeleteExamples,
    .run = remove,
};

}  // namespace hyperdrive::cli
