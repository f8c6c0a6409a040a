#include <cstdint>

#include "fuzz/postgres_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hyperdrive::tests::fuzz::postgres_messages({reinterpret_cast<const char*>(data), size});
  return 0;
}
