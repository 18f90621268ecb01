# A guest in 512 bytes. Each second it writes 4 KiB to its first disk, reads 8 KiB, sends one broadcast frame through its
# RTL8139 and burns some CPU, so that every counter that a VM has moves. The firmware does the work with the disk; the
# card needs one register to be switched on and two for each frame.
.code16
.globl _start
_start:
  cli; xorw %ax,%ax; movw %ax,%ds; movw %ax,%es; movw %ax,%ss; movw $0x7c00,%sp; sti

  # Find the card (10ec:8139), let it use its ports and the memory, and switch its transmitter on.
  movw $0xb102,%ax; movw $0x8139,%cx; movw $0x10ec,%dx; xorw %si,%si; int $0x1a
  jc loop
  movw $0xb10a,%ax; movw $0x10,%di; int $0x1a           # ecx = first base address: I/O ports
  andw $0xfffc,%cx; movw %cx,port
  movw $0xb10c,%ax; movw $4,%di; movw $0x0107,%cx; int $0x1a
  movw port,%dx; inl %dx,%eax; movl %eax,frame+6        # its own address is the sender
  addw $4,%dx; inw %dx,%ax; movw %ax,frame+10
  movw port,%dx; addw $0x37,%dx; movb $0x04,%al; outb %al,%dx

loop:
  movw $dap_w,%si; movw $0x4300,%ax; movb $0x80,%dl; int $0x13
  movw $dap_r,%si; movb $0x42,%ah; movb $0x80,%dl; int $0x13

  # Four transmit descriptors take turns: address at 0x20 + 4 n, length (which sends) at 0x10 + 4 n.
  movw port,%dx; testw %dx,%dx; jz 1f
  addw turn,%dx; addw $0x20,%dx; movl $frame,%eax; outl %eax,%dx
  subw $0x10,%dx; movl $60,%eax; outl %eax,%dx
  addw $4,turn; andw $12,turn

1: movl $100000,%ecx
2: decl %ecx; jnz 2b
  movl 0x46c,%ebx; addl $18,%ebx                        # the BIOS clock ticks 18.2 times a second
3: hlt; cmpl %ebx,0x46c; jb 3b
  jmp loop

.align 4
dap_w: .byte 16,0; .word 8; .word 0x0000,0x1000; .quad 64    # 8 sectors to LBA 64
dap_r: .byte 16,0; .word 16; .word 0x0000,0x1000; .quad 128  # 16 sectors from LBA 128
port:  .word 0
turn:  .word 0
frame: .byte 0xff,0xff,0xff,0xff,0xff,0xff, 0,0,0,0,0,0, 0x88,0xb5   # a local experiment's EtherType
.org 510
.word 0xaa55
