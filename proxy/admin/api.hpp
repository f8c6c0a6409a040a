// The admin API without its transport: a request in, a response out (docs/admin-api.md).
//
// Called on the admin thread. /v1/events and the dashboard's files are not here: http_server.cpp
// streams the first, dashboard.hpp has the others.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "proxy/admin/backend.hpp"
#include "proxy/admin/query_classes.hpp"

namespace hyperdrive::proxy::admin {

struct ApiRequest {
  std::string_view method;  ///< "GET", "HEAD", "POST" …
  std::string_view target;  ///< path and query, as sent
  std::string_view body;
  bool from_socket = true;  ///< the Unix socket: its file mode is the permission
};

struct ApiResponse {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::string_view allow = {};  ///< of a 405
};

/// The error document, with the status.
ApiResponse error_response(int status, const core::Error& error);

/// `dashboard`: the dashboard's address with its token, for those on the socket; empty without
/// port.
ApiResponse answer(const ApiRequest& request, AdminBackend& backend, QueryClasses& classes,
                   std::string_view dashboard);

/// A target's path, and the value of one of its query parameters (empty if absent;
/// percent-decoded).
std::string_view path_of(std::string_view target);
std::string query_parameter(std::string_view target, std::string_view name);

}  // namespace hyperdrive::proxy::admin
