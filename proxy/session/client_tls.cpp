#include "proxy/session/client_tls.hpp"

#include "core/config/text.hpp"

namespace hyperdrive::proxy::session {

core::Result<std::shared_ptr<net::TlsContext>> make_client_tls(const core::LocalSettings& local) {
  if (!local.tls_cert_file.empty()) {
    return net::TlsContext::server({local.tls_cert_file, local.tls_key_file});
  }
  if (!local.listen.empty() && !core::is_loopback(local.listen)) {
    return core::fail("Listening on " + local.listen + " needs TLS, and there is no certificate.",
                      "Give --tls-cert and --tls-key, or leave out --listen.");
  }
  return nullptr;
}

}  // namespace hyperdrive::proxy::session
