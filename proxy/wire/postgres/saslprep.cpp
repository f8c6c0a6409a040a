#include "proxy/wire/postgres/saslprep.hpp"

#include <stringprep.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace hyperdrive::proxy::wire::postgres {

core::Secret saslprep(const core::Secret& password) {
  const std::string_view raw = password.reveal();
  const bool ascii = std::all_of(raw.begin(), raw.end(),
                                 [](char byte) { return static_cast<unsigned char>(byte) < 0x80; });
  if (ascii) return password;

  char* prepared = nullptr;
  const int status =
      stringprep_profile(std::string(raw).c_str(), &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED);
  if (status != STRINGPREP_OK || prepared == nullptr) return password;
  const std::size_t size = std::strlen(prepared);
  // A password of which nothing is left is prohibited too.
  core::Secret result = size == 0 ? password : core::Secret(std::string(prepared, size));
  explicit_bzero(prepared, size);
  std::free(prepared);
  return result;
}

}  // namespace hyperdrive::proxy::wire::postgres
