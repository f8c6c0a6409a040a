#include "cli/certificate_file.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "core/base/file.hpp"
#include "core/secrets/certificate_file.hpp"

namespace hyperdrive::cli {

core::Result<std::string> ca_certificate_of_file(Context& context, const std::string& path) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto pem = core::read_file(path, 1u << 20);
  if (!pem) return tl::unexpected(pem.error());
  auto known = (*registry)->list_certificates();
  if (!known) return tl::unexpected(known.error());
  for (const core::Certificate& certificate : *known) {
    if (certificate.ca && certificate.pem == *pem) return certificate.id;
  }
  auto facts = core::read_certificates(*pem, path);
  if (!facts) return tl::unexpected(facts.error());
  core::Certificate certificate;
  // Two files may have one name: the serial number tells them apart.
  certificate.name =
      fmt::format("{} {}", std::filesystem::path(path).filename().string(), facts->serial_number);
  certificate.ca = true;
  certificate.pem = std::move(*pem);
  certificate.issuer = facts->issuer;
  certificate.serial_number = facts->serial_number;
  certificate.signature = facts->signature;
  certificate.expires_on = facts->expires_on;
  auto stored = (*registry)->add_certificate(std::move(certificate));
  if (!stored) return tl::unexpected(stored.error());
  context.out().note(fmt::format("{} is now the CA certificate {}.", path, stored->id));
  return stored->id;
}

}  // namespace hyperdrive::cli
