# Man pages from docs/, and where everything that is not a program is installed.
set(manuals ${PROJECT_BINARY_DIR}/man)
set(pages)
function(hyperdrive_man_page source name section)
  set(page ${manuals}/${name}.${section})
  add_custom_command(OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${manuals}
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/man-page ${source} ${name} ${section} > ${page}
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/scripts/man-page VERBATIM)
  set(pages ${pages} ${page} PARENT_SCOPE)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} OPTIONAL)
endfunction()

file(GLOB documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
foreach(document ${documents})
  get_filename_component(topic ${document} NAME_WE)
  if(topic STREQUAL "commands")
    hyperdrive_man_page(${document} hyperdrive 1)
  else()
    hyperdrive_man_page(${document} hyperdrive-${topic} 7)
  endif()
endforeach()
add_custom_target(man ALL DEPENDS ${pages})

install(FILES completions/hyperdrive.bash RENAME hyperdrive
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES completions/hyperdrive.zsh RENAME _hyperdrive
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES completions/hyperdrive.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY templates DESTINATION ${CMAKE_INSTALL_DATADIR}/hyperdrive
        PATTERN node_modules EXCLUDE PATTERN .wrangler EXCLUDE)
