#include <cstdint>

#include "fuzz/admin_requests.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hyperdrive::tests::fuzz::admin_request({reinterpret_cast<const char*>(data), size});
  return 0;
}
