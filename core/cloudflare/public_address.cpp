// check_public: what Cloudflare would answer with 2009 is said here, before anything is sent.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/cloudflare/shapes.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core::cloudflare {
namespace {

struct Network {
  std::uint32_t address;
  int bits;
};

/// IANA's registry of special-purpose IPv4 addresses: those that are not globally reachable.
constexpr std::array kSpecial = {
    Network{0x00000000, 8},  Network{0x0A000000, 8},  Network{0x64400000, 10},
    Network{0x7F000000, 8},  Network{0xA9FE0000, 16}, Network{0xAC100000, 12},
    Network{0xC0000000, 24}, Network{0xC0000200, 24}, Network{0xC0A80000, 16},
    Network{0xC6120000, 15}, Network{0xC6336400, 24}, Network{0xCB007100, 24},
    Network{0xE0000000, 4},  Network{0xF0000000, 4},
};

bool is_public_v4(std::uint32_t address) {
  return std::none_of(kSpecial.begin(), kSpecial.end(), [&](const Network& network) {
    const std::uint32_t mask = ~0u << (32 - network.bits);
    return (address & mask) == network.address;
  });
}

bool is_public_v6(const std::array<std::uint8_t, 16>& bytes) {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    return is_public_v4(static_cast<std::uint32_t>(bytes[12]) << 24 | bytes[13] << 16 |
                        bytes[14] << 8 | bytes[15]);
  }
  const bool global = (bytes[0] & 0xE0) == 0x20;  // 2000::/3 is all that is handed out
  const bool documentation =
      bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0x0D && bytes[3] == 0xB8;
  return global && !documentation;
}

bool is_address(const std::string& text) {
  std::array<std::uint8_t, 16> bytes;
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

/// Names that no public DNS knows (RFC 6761, RFC 6762, ICANN's private-use `internal`).
bool is_local_name(std::string_view host) {
  static constexpr std::array<std::string_view, 4> kEndings = {".localhost", ".local", ".internal",
                                                               ".home.arpa"};
  return host == "localhost" || std::any_of(kEndings.begin(), kEndings.end(),
                                            [&](auto ending) { return host.ends_with(ending); });
}

/// Whether the name resolves, and only to addresses that are not public.
bool resolves_privately(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  for (const addrinfo* one = found; one; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    ::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    if (is_public_address(text)) return false;
  }
  return true;
}

}  // namespace

bool is_public_address(std::string_view address) {
  const std::string text(address);
  in_addr v4;
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return is_public_v4(ntohl(v4.s_addr));
  std::array<std::uint8_t, 16> v6;
  return ::inet_pton(AF_INET6, text.c_str(), v6.data()) == 1 && is_public_v6(v6);
}

Result<void> check_public(const Origin& origin) {
  if (!origin.service_id.empty() || !origin.access_client_id.empty()) return {};
  const std::string host = resolvable_host(origin);
  const bool closed =
      is_address(host) ? !is_public_address(host) : is_local_name(host) || resolves_privately(host);
  if (!closed) return {};
  return fail(fmt::format("{} is not a public address: Cloudflare cannot reach it.", origin.host),
              "Push needs an origin on the Internet, behind Cloudflare Access "
              "(--access-client-id) or a Workers VPC service (--service-id).",
              code::kNotPublic);
}

}  // namespace hyperdrive::core::cloudflare
