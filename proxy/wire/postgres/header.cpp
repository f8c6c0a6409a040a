#include "proxy/wire/postgres/header.hpp"

namespace hyperdrive::proxy::wire::postgres {

bool is_frontend_type(char type) {
  constexpr Bytes kTypes = "BCdcfDEHFPpQSX";
  return type != 0 && kTypes.find(type) != Bytes::npos;
}

bool is_backend_type(char type) {
  constexpr Bytes kTypes = "RK23CWdcGHDIEVvnNAtS1sZT";
  return type != 0 && kTypes.find(type) != Bytes::npos;
}

}  // namespace hyperdrive::proxy::wire::postgres
