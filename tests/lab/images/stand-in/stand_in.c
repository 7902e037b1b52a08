/* An EFI program that lies where a boot loader does: it prints from where the firmware started it, and why, and fails,
 * so that the firmware goes on to its next boot entry.
 *
 *     stand-in: Boot0003 \EFI\debian\shimx64.efi on 6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab told []
 *
 * Only what it calls of UEFI is declared here (UEFI specification 2.10, sections 4.3, 4.5, 7, 8 and 9.1).
 */
typedef unsigned char byte;
typedef unsigned short unit;
typedef unsigned int number;
typedef unsigned long size;
#define EFI __attribute__((ms_abi))

typedef struct { number first; unit second, third; byte rest[8]; } guid;

struct text_output {
    void *reset;
    size (EFI *print)(struct text_output *, const unit *);
};

struct runtime {
    byte header[24];
    void *times[4], *memory[2];
    size (EFI *get_variable)(const unit *, const guid *, number *, size *, void *);
};

struct boot {
    byte header[24];
    void *priorities[2], *memory[5], *events[6], *protocols[3];
    size (EFI *handle_protocol)(void *, const guid *, void **);
};

struct system {
    byte header[24];
    void *vendor;
    size revision, input_handle;
    void *input;
    size output_handle;
    struct text_output *output;
    size error_handle;
    void *error;
    struct runtime *runtime;
    struct boot *boot;
};

struct image {
    number revision;
    void *parent;
    struct system *system;
    void *device;
    byte *path;
    void *reserved;
    number options_length;
    unit *options;
};

static const guid LOADED_IMAGE = {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid DEVICE_PATH = {0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid GLOBAL = {0x8be4df61, 0x93ca, 0x11d2, {0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}};

/* Anything but success, after which some firmware shows its menu. */
static const size ABORTED = 0x8000000000000015;

static void print(struct system *system, const unit *text, size length) {
    for (size index = 0; index < length && text[index]; index++) {
        unit letter[2] = {text[index], 0};
        system->output->print(system->output, letter);
    }
}

static void print_text(struct system *system, const char *text) {
    for (; *text; text++) {
        unit letter[2] = {(unit)*text, 0};
        system->output->print(system->output, letter);
    }
}

static void print_hex(struct system *system, number value, int digits) {
    while (digits--) {
        unit letter[2] = {(unit)"0123456789abcdef"[value >> 4 * digits & 15], 0};
        system->output->print(system->output, letter);
    }
}

/* The data of a device path's last node of this kind. */
static const byte *last(const byte *path, byte type, byte sub_type, size *length) {
    const byte *found = 0;
    while (path && path[0] != 0x7f) {
        size whole = path[2] | path[3] << 8;
        if (path[0] == type && path[1] == sub_type) {
            found = path + 4;
            *length = whole - 4;
        }
        path += whole;
    }
    return found;
}

EFI size start(void *handle, struct system *system) {
    struct image *image;
    void *device = 0;
    size length = 0;
    if (system->boot->handle_protocol(handle, &LOADED_IMAGE, (void **)&image))
        return ABORTED;
    print_text(system, "\r\nstand-in: Boot");
    unit current = 0xffff, name[] = {'B', 'o', 'o', 't', 'C', 'u', 'r', 'r', 'e', 'n', 't', 0};
    size current_length = sizeof current;
    system->runtime->get_variable(name, &GLOBAL, 0, &current_length, &current);
    print_hex(system, current, 4);
    print_text(system, " ");
    const byte *file = last(image->path, 4, 4, &length);
    if (file)
        print(system, (const unit *)file, length / 2);
    print_text(system, " on ");
    system->boot->handle_protocol(image->device, &DEVICE_PATH, &device);
    const byte *partition = last(device, 4, 1, &length);
    if (partition) {
        const guid *id = (const guid *)(partition + 20);
        print_hex(system, id->first, 8);
        print_text(system, "-");
        print_hex(system, id->second, 4);
        print_text(system, "-");
        print_hex(system, id->third, 4);
        print_text(system, "-");
        for (int index = 0; index < 8; index++) {
            if (index == 2)
                print_text(system, "-");
            print_hex(system, id->rest[index], 2);
        }
    }
    print_text(system, " told [");
    /* The firmware's own entries carry a mark in numbers. */
    if (image->options && image->options_length && image->options[0] >= ' ' && image->options[0] < 0x7f)
        print(system, image->options, image->options_length / 2);
    print_text(system, "]\r\n");
    return ABORTED;
}
