#include <cstdint>

#include "fuzz/user_texts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hyperdrive::tests::fuzz::user_texts({reinterpret_cast<const char*>(data), size});
  return 0;
}
