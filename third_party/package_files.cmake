# What Debian wants of files in a package, before CPack packs them: pages compressed, a copyright, no
# debugging symbols in archives.
file(GLOB_RECURSE pages ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share/man/*)
file(GLOB_RECURSE archives ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/*.a)
set(doc ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share/doc/kling)
file(RENAME ${doc}/LICENSE ${doc}/copyright)
execute_process(COMMAND gzip -9n ${pages} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND strip --strip-debug ${archives} COMMAND_ERROR_IS_FATAL ANY)
