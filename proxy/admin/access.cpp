#include "proxy/admin/access.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <cstdlib>

#include "proxy/admin/server.hpp"

namespace hyperdrive::proxy::admin {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string random_hex() {
  std::array<unsigned char, 32> bytes;
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
  return hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// Whether the Cookie header `cookies` holds `name`=`value`.
bool has_cookie(std::string_view cookies, std::string_view name, std::string_view value) {
  while (!cookies.empty()) {
    std::string_view pair = cookies.substr(0, cookies.find(';'));
    cookies.remove_prefix(std::min(cookies.size(), pair.size() + 1));
    pair.remove_prefix(std::min(pair.size(), pair.find_first_not_of(' ')));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    if (same(pair.substr(equals + 1), value)) return true;
  }
  return false;
}

}  // namespace

core::Secret admin_token(const core::Secret& local_password) {
  constexpr std::string_view kPurpose = "hyperdrive admin port";
  const std::string_view key = local_password.reveal();
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(kPurpose.data()), kPurpose.size(), hash,
           &size) == nullptr) {
    std::abort();
  }
  return core::Secret(hex({reinterpret_cast<const char*>(hash), size}));
}

PortAccess::PortAccess(std::uint16_t port, core::Secret token)
    : port_(port),
      token_(std::move(token)),
      cookie_name_(fmt::format("hyperdrive_{}", port)),
      cookie_value_(random_hex()) {}

Access PortAccess::check_site(const RequestHeaders& headers) const {
  // A page elsewhere whose name was made to point here (DNS rebinding) sends its own name as Host.
  bool ours = false;
  bool same_site = headers.origin.empty();
  for (const char* name : {"127.0.0.1", "localhost", "[::1]"}) {
    const std::string host = fmt::format("{}:{}", name, port_);
    ours = ours || headers.host == host;
    same_site = same_site || headers.origin == "http://" + host;
  }
  if (!ours) return Access::kForeignHost;
  return same_site ? Access::kGranted : Access::kForeignOrigin;
}

Access PortAccess::check(const RequestHeaders& headers) const {
  const Access site = check_site(headers);
  if (site != Access::kGranted) return site;
  constexpr std::string_view kBearer = "Bearer ";
  if (headers.authorization.starts_with(kBearer) &&
      is_token(headers.authorization.substr(kBearer.size()))) {
    return Access::kGranted;
  }
  const bool cookie = has_cookie(headers.cookie, cookie_name_, cookie_value_);
  return cookie ? Access::kGranted : Access::kNoToken;
}

bool PortAccess::is_token(std::string_view text) const {
  return !token_.empty() && same(text, token_.reveal());
}

std::string PortAccess::set_cookie() const {
  return fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/", cookie_name_, cookie_value_);
}

std::string PortAccess::dashboard_url() const {
  return fmt::format("http://127.0.0.1:{}/?token={}", port_, token_.reveal());
}

}  // namespace hyperdrive::proxy::admin
