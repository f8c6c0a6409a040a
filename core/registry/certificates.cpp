#include <fmt/format.h>

#include "core/base/time.hpp"
#include "core/registry/impl.hpp"
#include "core/registry/rows.hpp"
#include "core/secrets/random.hpp"

namespace hyperdrive::core {
namespace {

/// A client key is sealed to the certificate it belongs to.
std::string key_association(const Certificate& certificate) {
  return fmt::format("hyperdrive-1\ncertificate\n{}\n{}", certificate.id, certificate.pem);
}

Error no_certificate(std::string_view id_or_name) {
  return Error{fmt::format("There is no certificate '{}'.", id_or_name),
               "`hyperdrive cert list` shows all; `hyperdrive cert upload` adds one.", code::kNone,
               Exit::kError};
}

}  // namespace

Result<std::optional<Certificate>> Registry::Impl::look_up_certificate(
    std::string_view id_or_name) {
  for (const char* column : {"id", "name"}) {
    SQLite::Statement query(sqlite(), fmt::format("SELECT {} FROM certificates WHERE {} = ?",
                                                  certificate_columns(), column));
    query.bind(1, std::string(id_or_name));
    if (query.executeStep()) return std::optional<Certificate>(read_certificate_row(query));
  }
  return std::optional<Certificate>();
}

Result<Certificate> Registry::add_certificate(Certificate certificate) {
  if (auto sealer = impl_->database->sealer(); !sealer) return tl::unexpected(sealer.error());
  return impl_->database->atomically([&]() -> Result<Certificate> {
    if (certificate.id.empty()) certificate.id = random_uuid();
    if (certificate.name.empty()) certificate.name = certificate.id;
    certificate.uploaded_on = now_rfc3339();
    auto taken = impl_->look_up_certificate(certificate.name);
    if (!taken) return tl::unexpected(taken.error());
    if (*taken)
      return fail(fmt::format("A certificate named '{}' exists already.", certificate.name),
                  "Choose another name with --name, or delete the old one.");
    std::string sealed;
    if (!certificate.key_pem.empty()) {
      auto sealer = impl_->database->sealer();
      auto blob = (*sealer)->seal(certificate.key_pem, key_association(certificate));
      if (!blob) return tl::unexpected(blob.error());
      sealed = std::move(*blob);
    }
    SQLite::Statement insert(impl_->sqlite(), fmt::format("INSERT INTO certificates({}, key_pem) "
                                                          "VALUES (?,?,?,?,?,?,?,?,?,?)",
                                                          certificate_columns()));
    insert.bind(1, certificate.id);
    insert.bind(2, certificate.name);
    insert.bind(3, certificate.ca ? 1 : 0);
    insert.bind(4, certificate.pem);
    insert.bind(5, certificate.issuer);
    insert.bind(6, certificate.serial_number);
    insert.bind(7, certificate.signature);
    insert.bind(8, certificate.expires_on);
    insert.bind(9, certificate.uploaded_on);
    if (sealed.empty())
      insert.bind(10);
    else
      insert.bind(10, sealed.data(), static_cast<int>(sealed.size()));
    insert.exec();
    certificate.key_pem = Secret();
    return certificate;
  });
}

Result<std::vector<Certificate>> Registry::list_certificates() {
  return impl_->database->guarded([&]() -> Result<std::vector<Certificate>> {
    SQLite::Statement query(
        impl_->sqlite(),
        fmt::format("SELECT {} FROM certificates ORDER BY sequence", certificate_columns()));
    std::vector<Certificate> certificates;
    while (query.executeStep()) certificates.push_back(read_certificate_row(query));
    return certificates;
  });
}

Result<Certificate> Registry::find_certificate(std::string_view id_or_name) {
  return impl_->database->guarded([&]() -> Result<Certificate> {
    auto found = impl_->look_up_certificate(id_or_name);
    if (!found) return tl::unexpected(found.error());
    if (!*found) return tl::unexpected(no_certificate(id_or_name));
    return std::move(**found);
  });
}

Result<Certificate> Registry::remove_certificate(std::string_view id_or_name) {
  return impl_->database->atomically([&]() -> Result<Certificate> {
    auto found = impl_->look_up_certificate(id_or_name);
    if (!found) return tl::unexpected(found.error());
    if (!*found) return tl::unexpected(no_certificate(id_or_name));
    SQLite::Statement users(impl_->sqlite(),
                            "SELECT name FROM configs WHERE (ca_certificate_id = ?1 AND "
                            "ca_certificate_id <> '') OR (mtls_certificate_id = ?1 AND "
                            "mtls_certificate_id <> '') ORDER BY name LIMIT 5");
    users.bind(1, (*found)->id);
    std::string names;
    while (users.executeStep())
      names += fmt::format("{}'{}'", names.empty() ? "" : ", ", users.getColumn(0).getString());
    if (!names.empty())
      return fail(fmt::format("The certificate '{}' is in use by {}.", (*found)->name, names),
                  "Change or delete these configs first.");
    SQLite::Statement remove(impl_->sqlite(), "DELETE FROM certificates WHERE id = ?");
    remove.bind(1, (*found)->id);
    remove.exec();
    return std::move(**found);
  });
}

Result<Certificates> Registry::certificates_of(const Config& config) {
  return impl_->database->guarded([&]() -> Result<Certificates> {
    Certificates result;
    if (!config.tls.ca_certificate_id.empty()) {
      auto ca = impl_->look_up_certificate(config.tls.ca_certificate_id);
      if (!ca) return tl::unexpected(ca.error());
      if (!*ca) return tl::unexpected(no_certificate(config.tls.ca_certificate_id));
      result.ca_pem = (*ca)->pem;
    }
    if (config.tls.mtls_certificate_id.empty()) return result;
    auto client = impl_->look_up_certificate(config.tls.mtls_certificate_id);
    if (!client) return tl::unexpected(client.error());
    if (!*client) return tl::unexpected(no_certificate(config.tls.mtls_certificate_id));
    result.client_pem = (*client)->pem;
    SQLite::Statement query(impl_->sqlite(), "SELECT key_pem FROM certificates WHERE id = ?");
    query.bind(1, (*client)->id);
    if (!query.executeStep() || query.getColumn(0).isNull())
      return fail(
          fmt::format("The certificate '{}' has no private key, so it cannot be shown to the "
                      "origin.",
                      (*client)->name),
          "Upload it with its key: hyperdrive cert upload mtls-certificate --cert F --key F.");
    auto sealer = impl_->database->existing_sealer();
    if (!sealer) return tl::unexpected(sealer.error());
    const SQLite::Column blob = query.getColumn(0);
    auto key = (*sealer)->unseal(
        {static_cast<const char*>(blob.getBlob()), static_cast<std::size_t>(blob.getBytes())},
        key_association(**client));
    if (!key)
      return fail(fmt::format("The key of the certificate '{}' does not open: its row was altered "
                              "outside of hyperdrive, or the sealing key is another one.",
                              (*client)->name),
                  "It is not used. Delete the certificate and upload it again.");
    result.client_key_pem = std::move(*key);
    return result;
  });
}

}  // namespace hyperdrive::core
