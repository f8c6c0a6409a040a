#include <cstdint>

#include "fuzz/cache_bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hyperdrive::tests::fuzz::cache_bytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
