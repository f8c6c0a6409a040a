// libcurl, loaded when it is first used.
//
// libcurl brings thirty more libraries into a process, whose loading and initialisation costs more
// than a whole `hyperdrive list` (8 of 10 ms, docs/decisions/031). Few commands speak HTTP. So the
// program is linked against these functions, which have libcurl's names and hand each call on to
// the real ones. Any thread; the table is filled once.
//
// Without libcurl on the machine curl_easy_init and curl_multi_init return nullptr, which callers
// treat as any failure of curl.
#include <curl/curl.h>
#include <dlfcn.h>

#include <cstdarg>

// curl.h wraps the variadic functions in macros of the same name.
#undef curl_easy_setopt
#undef curl_easy_getinfo

namespace {

void* library() {
  static void* const handle = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  return handle;
}

template <class Function>
Function* real(const char* name) {
  return library() == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library(), name));
}

}  // namespace

// Each function looks its namesake up once.
extern "C" {

CURLcode curl_global_init(long flags) {
  static auto* const call = real<decltype(curl_global_init)>("curl_global_init");
  return call == nullptr ? CURLE_FAILED_INIT : call(flags);
}

CURL* curl_easy_init() {
  static auto* const call = real<decltype(curl_easy_init)>("curl_easy_init");
  return call == nullptr ? nullptr : call();
}

// The one variadic argument is a long, a pointer or a curl_off_t: each a whole register in every
// ABI that Debian's 64-bit ports use.
CURLcode curl_easy_setopt(CURL* easy, CURLoption option, ...) {
  static auto* const call = real<decltype(curl_easy_setopt)>("curl_easy_setopt");
  std::va_list list;
  va_start(list, option);
  void* const argument = va_arg(list, void*);
  va_end(list);
  return call == nullptr ? CURLE_FAILED_INIT : call(easy, option, argument);
}

CURLcode curl_easy_getinfo(CURL* easy, CURLINFO info, ...) {
  static auto* const call = real<decltype(curl_easy_getinfo)>("curl_easy_getinfo");
  std::va_list list;
  va_start(list, info);
  void* const argument = va_arg(list, void*);
  va_end(list);
  return call == nullptr ? CURLE_FAILED_INIT : call(easy, info, argument);
}

CURLcode curl_easy_perform(CURL* easy) {
  static auto* const call = real<decltype(curl_easy_perform)>("curl_easy_perform");
  return call == nullptr ? CURLE_FAILED_INIT : call(easy);
}

void curl_easy_reset(CURL* easy) {
  static auto* const call = real<decltype(curl_easy_reset)>("curl_easy_reset");
  if (call != nullptr) call(easy);
}

void curl_easy_cleanup(CURL* easy) {
  static auto* const call = real<decltype(curl_easy_cleanup)>("curl_easy_cleanup");
  if (call != nullptr) call(easy);
}

const char* curl_easy_strerror(CURLcode code) {
  static auto* const call = real<decltype(curl_easy_strerror)>("curl_easy_strerror");
  return call == nullptr ? "libcurl.so.4 cannot be loaded" : call(code);
}

CURLM* curl_multi_init() {
  static auto* const call = real<decltype(curl_multi_init)>("curl_multi_init");
  return call == nullptr ? nullptr : call();
}

CURLMcode curl_multi_add_handle(CURLM* multi, CURL* easy) {
  static auto* const call = real<decltype(curl_multi_add_handle)>("curl_multi_add_handle");
  return call == nullptr ? CURLM_INTERNAL_ERROR : call(multi, easy);
}

CURLMcode curl_multi_remove_handle(CURLM* multi, CURL* easy) {
  static auto* const call = real<decltype(curl_multi_remove_handle)>("curl_multi_remove_handle");
  return call == nullptr ? CURLM_INTERNAL_ERROR : call(multi, easy);
}

CURLMcode curl_multi_perform(CURLM* multi, int* running) {
  static auto* const call = real<decltype(curl_multi_perform)>("curl_multi_perform");
  return call == nullptr ? CURLM_INTERNAL_ERROR : call(multi, running);
}

CURLMcode curl_multi_poll(CURLM* multi, curl_waitfd* extra, unsigned int count, int timeout_ms,
                          int* ready) {
  static auto* const call = real<decltype(curl_multi_poll)>("curl_multi_poll");
  return call == nullptr ? CURLM_INTERNAL_ERROR : call(multi, extra, count, timeout_ms, ready);
}

CURLMsg* curl_multi_info_read(CURLM* multi, int* left) {
  static auto* const call = real<decltype(curl_multi_info_read)>("curl_multi_info_read");
  return call == nullptr ? nullptr : call(multi, left);
}

CURLMcode curl_multi_cleanup(CURLM* multi) {
  static auto* const call = real<decltype(curl_multi_cleanup)>("curl_multi_cleanup");
  return call == nullptr ? CURLM_INTERNAL_ERROR : call(multi);
}

curl_slist* curl_slist_append(curl_slist* list, const char* text) {
  static auto* const call = real<decltype(curl_slist_append)>("curl_slist_append");
  return call == nullptr ? nullptr : call(list, text);
}

void curl_slist_free_all(curl_slist* list) {
  static auto* const call = real<decltype(curl_slist_free_all)>("curl_slist_free_all");
  if (call != nullptr) call(list);
}

}  // extern "C"
