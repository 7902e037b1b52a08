/* The head of a PE file, as UEFI wants it (Microsoft's PE format, PE32+), before a program that lies where it is
 * loaded: one section, nothing to relocate. */
    .section .head, "ax"
head:
    .ascii "MZ"
    .org 0x3c
    .long signature - head
signature:
    .ascii "PE\0\0"
    .word 0x8664                        /* x86-64 */
    .word 1                             /* one section */
    .long 0, 0, 0
    .word optional_end - optional
    .word 0x0206                        /* executable; no line numbers, no debug; can be moved */
optional:
    .word 0x20b                         /* PE32+ */
    .byte 0, 0
    .long body_size, 0, 0
    .long start                         /* where it begins */
    .long body
    .quad 0                             /* preferred address */
    .long 0x1000, 0x1000                /* alignment in memory and in the file */
    .word 0, 0, 0, 0, 0, 0
    .long 0
    .long image_size
    .long body                          /* size of the head */
    .long 0
    .word 10                            /* EFI application */
    .word 0
    .quad 0, 0, 0, 0
    .long 0
    .long 6                             /* data directories */
    .quad 0, 0, 0, 0, 0, 0
optional_end:
    .ascii ".text\0\0\0"
    .long body_size, body, body_size, body
    .long 0, 0
    .word 0, 0
    .long 0xe0000020                    /* code; read, written and executed */
